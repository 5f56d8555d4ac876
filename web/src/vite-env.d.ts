/** Whether the page is built as one file, in which large parts lie compressed. */
declare const __SINGLE_FILE__: boolean;
