/** `<run>/notes.json`: what the user wrote of a run. It lies with the run, so that a new index finds it again. */
import { z } from "zod";

const filled = z.object({ notes: z.string().catch(""), tags: z.array(z.string()).catch([]) });

/** Notes and tags; none where the file is missing or cannot be read. */
export const notesSchema = z.unknown().transform((value) => filled.safeParse(value).data ?? { notes: "", tags: [] });
export type RunNotes = z.infer<typeof notesSchema>;
