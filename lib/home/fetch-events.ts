/** What a running fetch of a family's base tells, line by line: the script prints it, the route streams it, the page shows it. */
import { z } from "zod";

export const fetchEventSchema = z.discriminatedUnion("type", [
  /** A step and how far it is, in bytes (or tensors for `import`); `total` is 0 where it is not known. */
  z.object({
    type: z.literal("progress"),
    phase: z.enum(["prepare", "download", "import", "verify"]),
    message: z.string(),
    done: z.number(),
    total: z.number(),
  }),
  z.object({ type: z.literal("done"), message: z.string() }),
  z.object({ type: z.literal("error"), code: z.string(), message: z.string(), action: z.string() }),
]);

export type FetchEvent = z.infer<typeof fetchEventSchema>;
