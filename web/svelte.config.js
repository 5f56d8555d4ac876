// Svelte's own settings; TypeScript in components needs no preprocessor.
export default { compilerOptions: { runes: true } };
