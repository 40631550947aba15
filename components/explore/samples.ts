/** Texts that are at hand, one of a kind. */
export const sampleIds = ["story", "encyclopaedia", "chat", "code"] as const;
export type SampleId = (typeof sampleIds)[number];

export type Sample = { title: string; text: string };

export const samples: Record<SampleId, Sample> = {
  story: {
    title: "Story",
    text: `Once upon a time there was a little girl named Lily. She had a small red boat that she loved very much. Every morning she took the boat to the pond behind her house and watched it float.

One day the wind was strong. It pushed the boat far away, to the other side of the pond. Lily was sad. "My boat is gone!" she said, and she began to cry.

A big green frog heard her. "Why are you crying?" asked the frog.

"My boat is on the other side," said Lily, "and I cannot swim."

"I can swim," said the frog. He jumped into the water with a splash. He swam to the boat and pushed it back with his nose. Soon the little red boat was next to Lily again.

Lily smiled. "Thank you, kind frog! Do you want to be my friend?"

"Yes," said the frog. From that day on, Lily and the frog played at the pond every morning, and the little red boat was never alone again.`,
  },
  encyclopaedia: {
    title: "Encyclopaedia",
    text: `A lighthouse is a tower that carries a bright light at its top and stands on or near the coast. It serves as a mark for navigation and warns ships of dangerous rocks, reefs and shallow water. Before electric lamps came into use, the light was produced by open fires, later by candles, and then by oil lamps with mirrors behind the flame.

In 1822 the French physicist Augustin-Jean Fresnel designed a lens made of many thin rings of glass. Such a lens bends the light of a lamp into a narrow, almost parallel beam, and it is far thinner and lighter than a lens of solid glass with the same power. The first Fresnel lens was installed in the lighthouse of Cordouan, at the mouth of the Gironde, in 1823. Its light could be seen from more than thirty kilometres away.

Each lighthouse has its own pattern of flashes, which is printed on nautical charts, so that sailors can tell one lighthouse from another at night. During the day they are recognised by their shape and by their painted bands. Most lighthouses are automatic today, and many have become museums.`,
  },
  chat: {
    title: "Chat",
    text: `<|im_start|>user
I planted tomatoes on my balcony three weeks ago. The lower leaves are turning yellow. What should I do?<|im_end|>
<|im_start|>assistant
Yellow lower leaves on young tomato plants usually have one of three causes:

1. Too much water. Push a finger into the soil: if it is still wet two centimetres down, wait before you water again.
2. Too little nitrogen. Potting soil feeds a plant for about four weeks. Start with a liquid tomato fertiliser once a week.
3. Age. One or two yellow leaves near the ground are normal, because they get little light.

Remove the yellow leaves, water in the morning, and look again in a week. If the yellow parts have brown spots with rings, write to me, because that would be a fungus.<|im_end|>
<|im_start|>user
The soil is quite wet. How often should I water?<|im_end|>
<|im_start|>assistant
Only when the top two centimetres are dry. In a pot on a sunny balcony that is about every second day, and every day when it is hot. Make sure that water can leave through the holes in the bottom of the pot.<|im_end|>
`,
  },
  code: {
    title: "Code",
    text: `from collections import OrderedDict


class LRUCache:
    """A cache that forgets the entry that was used least recently."""

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        self.entries: OrderedDict[str, int] = OrderedDict()

    def get(self, key: str) -> int | None:
        if key not in self.entries:
            return None
        self.entries.move_to_end(key)
        return self.entries[key]

    def put(self, key: str, value: int) -> None:
        if key in self.entries:
            self.entries.move_to_end(key)
        self.entries[key] = value
        if len(self.entries) > self.capacity:
            self.entries.popitem(last=False)


cache = LRUCache(2)
cache.put("a", 1)
cache.put("b", 2)
cache.get("a")
cache.put("c", 3)
assert cache.get("b") is None
assert cache.get("a") == 1
`,
  },
};

export function isSample(text: string): text is SampleId {
  return sampleIds.some((id) => id === text);
}

/** A sample that suits the family: small story models know stories alone. */
export function startingSample(family: string, chat: boolean | null): SampleId {
  return family === "stories" || chat === false ? "story" : "encyclopaedia";
}
