/** The fields of `mixer.options`: those of a Mamba-2 mixer that differ from the defaults (docs/contracts.md, section 3). */
import type { Field } from "./fields";

type Option = { name: string; label: string; description: string; default: unknown; choices?: string[]; kind?: Field["kind"] };

const options: Option[] = [
  { name: "form", label: "Form", choices: ["ssd", "discrete"], default: "ssd", description: "ssd: Mamba-2's layout (Mamba in the Llama). discrete: MOHAWK's, a decay a token and head, which is nearer to attention from the start." },
  { name: "conv_kernel", label: "Convolution", choices: ["4", "0"], default: 4, description: "Taps of the causal convolution before the recurrence; 0: none." },
  { name: "conv_activation", label: "Activation after it", choices: ["silu", "identity"], default: "silu", description: "identity: the convolution starts as no change at all." },
  { name: "gate", label: "Gate", kind: "boolean", default: true, description: "Multiply the output by SiLU of a gate z: more parameters, and what stage 1 learnt is hidden until it opens." },
  { name: "norm", label: "Norm", choices: ["none", "rms"], default: "rms", description: "RMS norm of the output before out_proj." },
  { name: "norm_groups", label: "Groups of the norm", kind: "integer", default: 1, description: "1, or as many as heads." },
  { name: "num_heads", label: "Heads", kind: "integer", default: null, description: "None: as many as attention's query heads." },
  { name: "num_kv_heads", label: "Groups of x and B", kind: "integer", default: null, description: "None: as many as attention's key/value heads." },
  { name: "state_size", label: "State size", kind: "integer", default: null, description: "None: attention's head size." },
];

/** Shown in the section of the mixers; all but the form are advanced. */
export const mixerOptionFields: readonly Field[] = options.map(({ name, label, description, choices = [], kind, default: value }) => ({
  path: `mixer.options.${name}`,
  section: "mixer",
  label,
  description,
  kind: kind ?? "choice",
  default: value,
  nullable: value === null,
  choices,
  minimum: kind === "integer" ? 1 : null,
  maximum: null,
  advanced: name !== "form",
  matters: ({ method, draftMixer }) => method !== "pretrain" && (method !== "draft" || draftMixer === "mamba2"),
}));
