import { formatBytes } from "@/components/ui/format";
import type { MemoryReport } from "@/workers/protocol";

/** What a loaded model holds now: weights, and what grows (attention's cache) beside what does not (Mamba's state). */
export function MemoryTable({ memory }: { memory: MemoryReport }) {
  const largest = Math.max(memory.kvBytes, memory.stateBytes, 1);
  return (
    <table className="w-full text-xs" data-testid="memory">
      <caption className="sr-only">Memory</caption>
      <tbody>
        <Row name="Weights" bytes={memory.weightBytes} note={memory.bundleBytes ? `${formatBytes(memory.bundleBytes)} on disk` : ""} />
        <Row name="KV cache" bytes={memory.kvBytes} note={`+${formatBytes(memory.kvBytesPerToken)} a token`} color="bg-attention" share={memory.kvBytes / largest} />
        <Row name="Mamba state" bytes={memory.stateBytes} note="constant" color="bg-mamba" share={memory.stateBytes / largest} />
        {memory.snapshotBytes > 0 && <Row name="Last turn" bytes={memory.snapshotBytes} note="kept for the next" />}
        {memory.heapBytes !== null && <Row name="Heap" bytes={memory.heapBytes} note="WebAssembly" />}
      </tbody>
    </table>
  );
}

type RowProps = { name: string; bytes: number; note: string; color?: string; share?: number };

function Row({ name, bytes, note, color, share }: RowProps) {
  return (
    <tr>
      <th scope="row" className="py-0.5 text-left font-normal whitespace-nowrap text-ink-2">
        {name}
      </th>
      <td className="w-1/5 px-2">
        {color && (
          <span aria-hidden className="block h-1 rounded-full bg-line">
            <span className={`block h-full rounded-full ${color}`} style={{ width: `${Math.round(100 * (share ?? 0))}%` }} />
          </span>
        )}
      </td>
      <td className="text-right whitespace-nowrap">{formatBytes(bytes)}</td>
      <td className="w-[5.5rem] pl-2 text-right text-2xs whitespace-nowrap text-ink-3">{note}</td>
    </tr>
  );
}
