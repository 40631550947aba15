/** The form of an SSH node as text, and as the route wants it. Pure. */
import { addNodeSchema, type AddNode, type TrainingNode } from "@/lib/training/types";

export type NodeForm = { readonly name: string; readonly destination: string; readonly port: string; readonly identityFile: string; readonly root: string; readonly python: string };
export type NodeField = keyof NodeForm;

export const emptyForm: NodeForm = { name: "", destination: "", port: "", identityFile: "", root: "", python: "" };

export function formOf({ name, destination, port, identityFile, root, python }: TrainingNode): NodeForm {
  return { name, destination: destination ?? "", port: port === null ? "" : String(port), identityFile: identityFile ?? "", root: root ?? "", python: python ?? "" };
}

export type ReadForm = { readonly node: AddNode; readonly problems: null } | { readonly node: null; readonly problems: Partial<Record<NodeField, string>> };

const asked: Partial<Record<NodeField, string>> = {
  name: "Give the node a name.",
  destination: "Write user@host, or a name of your ssh config.",
  port: "A port is a whole number from 1 to 65535.",
  identityFile: "Write an absolute path, or one that starts with ~/.",
  root: "Write an absolute path, or one that starts with ~/.",
  python: "Write python3, python3.x or an absolute path.",
};

/** What was written, as the route takes it; fields left empty are as by default. */
export function readForm(form: NodeForm): ReadForm {
  const text = (field: NodeField): string | null => form[field].trim() || null;
  const port = text("port");
  const read = addNodeSchema.safeParse({
    kind: "ssh",
    name: form.name.trim(),
    destination: form.destination.trim(),
    port: port === null ? null : /^\d+$/.test(port) ? Number(port) : Number.NaN,
    identityFile: text("identityFile"),
    root: text("root"),
    python: text("python"),
  });
  if (read.success) return { node: read.data, problems: null };
  const problems: Partial<Record<NodeField, string>> = {};
  for (const { path } of read.error.issues) {
    const field = path[0] as NodeField;
    problems[field] = asked[field] ?? "This cannot be used.";
  }
  return { node: null, problems };
}
