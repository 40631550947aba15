/** Theme choice: kept in localStorage, applied as `data-theme` on the root element before the first paint. */
export const themeChoices = ["system", "light", "dark"] as const;
export type ThemeChoice = (typeof themeChoices)[number];

const storageKey = "mambascope.theme";

/** Runs inline in the head, so that the first paint already has the right colours. */
export const themeScript = `(()=>{try{var c=localStorage.getItem("${storageKey}")}catch(e){}
var d=c==="dark"||(c!=="light"&&matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.dataset.theme=d?"dark":"light"})()`;

/** The stored choice; `system` if there is none or storage is closed. */
export function readTheme(): ThemeChoice {
  try {
    const stored = localStorage.getItem(storageKey);
    return themeChoices.find((choice) => choice === stored) ?? "system";
  } catch {
    return "system";
  }
}

const listeners = new Set<() => void>();

/** Stores and applies a choice. */
export function writeTheme(choice: ThemeChoice): void {
  try {
    localStorage.setItem(storageKey, choice);
  } catch {
    // A closed storage loses the choice at reload; the page itself still changes.
  }
  applyTheme(choice);
  for (const listener of listeners) listener();
}

function applyTheme(choice: ThemeChoice): void {
  const dark = choice === "dark" || (choice === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
}

/** Follows the stored choice and the system's setting. Returns the way to stop. */
export function subscribeTheme(listener: () => void): () => void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => applyTheme(readTheme());
  listeners.add(listener);
  media.addEventListener("change", follow);
  return () => {
    listeners.delete(listener);
    media.removeEventListener("change", follow);
  };
}
