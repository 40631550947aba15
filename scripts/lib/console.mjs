/** What the set-up scripts print: one line a step, with progress on a terminal. */

const live = process.stdout.isTTY === true;
let openLine = false;

/** @param {string} text */
export function say(text) {
  endProgress();
  console.log(text);
}

/** Replaces the progress line on a terminal; elsewhere prints only whole steps of ten percent. @param {string} text @param {number} done @param {number} total */
export function progress(text, done, total) {
  const percent = total > 0 ? Math.min(100, Math.floor((100 * done) / total)) : null;
  const line = percent === null ? text : `${text} ${String(percent).padStart(3)}%`;
  if (live) {
    process.stdout.write(`\r\x1b[2K  ${line.slice(0, (process.stdout.columns ?? 80) - 3)}`);
    openLine = true;
    return;
  }
  const key = percent === null ? text : `${text} ${Math.floor(percent / 10)}`;
  if (key !== progress.lastKey) console.log(`  ${line}`);
  progress.lastKey = key;
}
progress.lastKey = "";

export function endProgress() {
  if (openLine) process.stdout.write("\n");
  openLine = false;
  progress.lastKey = "";
}

/** @param {number} milliseconds */
export function seconds(milliseconds) {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}

/** @param {number} bytes */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
