/** Prompts by kind, for speculative decoding: kinds differ in how well they can be guessed. */

export type KindedPrompt = { readonly kind: string; readonly text: string };

/** What people ask a small chat model. */
export const chatPrompts: readonly KindedPrompt[] = [
  { kind: "question", text: "What is the capital of France, and what is it known for?" },
  { kind: "question", text: "Why is the sky blue?" },
  { kind: "question", text: "How do plants make their food?" },
  { kind: "question", text: "What is the difference between a virus and a bacterium?" },
  { kind: "advice", text: "How can I sleep better at night?" },
  { kind: "advice", text: "Give me three tips for a job interview." },
  { kind: "advice", text: "How should I start learning to play the guitar?" },
  { kind: "advice", text: "What should I pack for a weekend in the mountains?" },
  { kind: "writing", text: "Write a short story about a lighthouse keeper and a storm." },
  { kind: "writing", text: "Write a polite e-mail that asks a colleague to move a meeting to Friday." },
  { kind: "writing", text: "Write a short poem about autumn." },
  { kind: "writing", text: "Describe a busy market in the morning." },
  { kind: "code", text: "Write a Python function that returns the factorial of a number." },
  { kind: "code", text: "Write a JavaScript function that reverses a string." },
  { kind: "code", text: "Explain what a for loop is and give an example in Python." },
  { kind: "code", text: "Write an SQL query that selects all customers from Berlin." },
  { kind: "rewriting", text: "Correct the mistakes: \"Yesterday we goes to the park and seen many bird. The birds was singing and we was happy to here them.\"" },
  { kind: "rewriting", text: "Repeat this list in alphabetical order: pear, apple, banana, cherry, apricot, blueberry, plum, grape." },
  { kind: "rewriting", text: "Summarise in one sentence: The fire on the hill was never large, but it was steady, and the fishing boats came home by it in rain and in fog." },
  { kind: "rewriting", text: "Rewrite in the past tense: The keeper climbs the stairs, lights the lamp, looks out to the sea and waits for the boats to come home." },
];

/** Beginnings of stories, for a model that continues text. */
export const storyPrompts: readonly KindedPrompt[] = [
  "Once upon a time, there was a little girl named Lily who",
  "One day, a boy named Tim found a shiny red ball in the park. He",
  "The cat sat by the window and watched the rain. Then",
  "Tom and his sister Mia wanted to build a big sand castle. They",
  "Once there was a small bird that could not fly. Every day",
  "It was a sunny morning and Ben was very happy because",
  "Anna had a secret box under her bed. In the box",
  "The old bear lived alone in the forest. He was sad because",
  "\"Can I have a cookie?\" asked Sam. His mom",
  "Once upon a time, a frog and a duck were best friends. They",
  "Sara loved to paint. One day she painted a big blue",
  "The little train was late again. It went",
  "Max the dog saw a butterfly in the garden. He",
  "There was a magic tree near the village. If you",
  "Grandma made a big chocolate cake for the party. But",
  "One night, the moon was so bright that",
  "Jack did not want to share his toys. His friend",
  "A tiny mouse lived in a big house. One day",
  "The children were playing hide and seek. Lucy hid",
  "Once upon a time, there was a brave knight who",
].map((text) => ({ kind: "story", text }));
