/** Secrets from a terminal or a pipe. */
import { SetupError } from "./run.mjs";

/** All of standard input, without the line's end. Only its first line may hold something. */
export async function readAll() {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += chunk;
    if (text.length > 65536) break;
  }
  return text.replace(/\r?\n$/, "");
}

/** A line typed on the terminal, which does not show it. Ctrl+C throws SetupError. @param {string} question @returns {Promise<string>} */
export function askHidden(question) {
  const { stdin, stdout } = process;
  stdout.write(question);
  return new Promise((resolve, reject) => {
    let line = "";
    const end = () => {
      stdin.off("data", take);
      stdin.setRawMode(false);
      stdin.pause();
      stdout.write("\n");
    };
    /** @param {string} text */
    const take = (text) => {
      for (const letter of text) {
        if (letter === "\r" || letter === "\n" || letter === "\u0004") {
          end();
          return resolve(line);
        }
        if (letter === "\u0003") {
          end();
          return reject(new SetupError("cancelled", "No password was set.", "Run the command again when you like."));
        }
        if (letter === "\u007f" || letter === "\b") line = [...line].slice(0, -1).join("");
        else if (letter === "\u0015") line = "";
        else if (letter >= " ") line += letter;
      }
    };
    stdin.setEncoding("utf8");
    stdin.setRawMode(true);
    stdin.resume();
    stdin.on("data", take);
  });
}
