/** What one layer's replacement changes: in its own output, and in the model's predictions. */
import { totalsOf } from "@/lib/evaluation/comparison";
import { outputDistance } from "@/lib/evaluation/distance";
import { TOP, type LayerDistance, type LayerSensitivity } from "@/lib/evaluation/types";
import { MIXED } from "@/lib/onnx/parts";
import type { Call } from "./call";
import type { Device } from "./device";
import type { Reading } from "./reading";

/** Both mixers of each layer on the teacher's own activations. */
export async function measureDistances(device: Device, reading: Reading, layers: readonly number[], spec: string, call: Call): Promise<LayerDistance[]> {
  const distances: LayerDistance[] = [];
  const out = reading.hiddenState();
  try {
    const width = out.shape.at(-1) ?? 1;
    for (const [done, layer] of layers.entries()) {
      call.onProgress?.({ phase: "distances", done, total: layers.length, unit: "layers", message: `Layer ${layer}, both mixers` });
      await call.checkpoint();
      await reading.mix(layer, "attention", { [MIXED]: out });
      const attention = Float32Array.from(await device.read(out));
      await reading.mix(layer, spec, { [MIXED]: out });
      distances.push({ layer, ...outputDistance(attention, await device.read(out), width) });
    }
    return distances;
  } finally {
    out.free();
  }
}

export async function measureSensitivity(reading: Reading, layer: number, spec: string, call: Call): Promise<LayerSensitivity> {
  const { student, kl } = await reading.compareReplaced(layer, spec, call);
  const agree = Uint8Array.from(kl, (_, t) => Number(student.topIds[t * TOP] === reading.teacher.topIds[t * TOP]));
  const totals = totalsOf(kl, agree, student.logProbability, reading.teacher.logProbability);
  return { layer, kl: totals.kl, agreement: totals.agreement };
}
