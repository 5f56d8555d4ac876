// Focus is never lost: where the focused control goes away or is disabled, such as a button that has done its work, what lies nearest to
// where it was takes the focus.

const CONTROLS = "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), [tabindex]";

/** Keeps the focus within the page; gives what ends that. */
export function keepFocus(): () => void {
  /** The focused element and what it lies in, from the inside out. */
  let path: Element[] = [];
  const gone = () => path[0] !== undefined && (!path[0].isConnected || path[0].matches(":disabled"));
  const enter = (event: FocusEvent) => (path = event.composedPath().filter((one) => one instanceof Element));
  // Some browsers tell of an element that is being removed as of one that the reader leaves: once it is gone, they differ.
  const leave = () => queueMicrotask(() => {
    if (document.activeElement === document.body && !gone()) path = [];
  });
  const observer = new MutationObserver(() => {
    if (!gone() || (document.activeElement !== document.body && document.activeElement !== path[0])) return;
    const nearest = path.slice(1).find((one) => one.isConnected) ?? document.body;
    const title = document.querySelector<HTMLElement>("main h1");
    const next = title !== null && nearest.contains(title) ? title : (nearest.querySelector<HTMLElement>(CONTROLS) ?? (nearest as HTMLElement));
    if (!next.matches(CONTROLS)) next.tabIndex = -1;
    next.focus({ preventScroll: true });
  });
  addEventListener("focusin", enter);
  addEventListener("focusout", leave);
  observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ["disabled"] });
  return () => {
    removeEventListener("focusin", enter);
    removeEventListener("focusout", leave);
    observer.disconnect();
  };
}
