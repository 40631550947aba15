/** The texts that the benchmarks read. */

/** Prose of some 350 tokens; the first sentences of it are the shorter prompts. */
export const passage = `Long before the harbour had a lighthouse, the people of the bay kept a fire on the hill. Every evening one family carried \
wood up the narrow path, and every morning another family swept the ashes into the sea. The fire was never large, but it \
was steady, and the fishing boats came home by it in rain and in fog. Nobody wrote down whose turn it was. The children \
simply knew, as they knew which dog would bite and which would only bark.

One winter the storms were so strong that the path washed away. For three nights the hill stayed dark. On the fourth night an \
old woman named Marta tied a lantern to her goat and sent it up the slope, because goats do not need a path. The goat climbed \
until it found the warm stones where the fire used to burn, and there it lay down and slept. From the water the small light \
looked like a star that had forgotten to set. Two boats followed it and came home.

In spring the families built a stair of flat rocks, wide enough for two people and a goat. They argued about its shape for \
many weeks, since everyone wanted the steps to suit their own legs. In the end they made each step a little different, so that \
every person found some steps easy and some steps hard. When the lighthouse came at last, with its turning lamp and its keeper \
in a blue coat, the stair was still there. Visitors ask why the steps are so uneven. The keeper tells them that the hill is \
older than the tower, that light is a kind of promise, and that a promise is easier to keep when the work of keeping it is \
shared among many hands.`;

const plain = [
  "Once upon a time, there was a little girl named Lily who",
  "In 1984, 3.14159 naïve café owners said: “Ça va?” — 你好 🙂\n\n\tdef f(x): return x + 12",
];
const chat = "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n";

/** Prompts of the parity check; the last one is the passage. */
export function parityTexts(chatTuned: boolean): string[] {
  return [...plain, ...(chatTuned ? [chat] : []), passage];
}
