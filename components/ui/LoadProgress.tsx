import { Button } from "./Button";
import { formatBytes } from "./format";
import { ProgressBar } from "./ProgressBar";

type LoadProgressProps = {
  /** Null before the first word of it. */
  progress: { readonly message: string; readonly done: number; readonly total: number; readonly unit: string } | null;
  onCancel: () => void;
};

/** How far a model is loaded, and the way to give it up. */
export function LoadProgress({ progress, onCancel }: LoadProgressProps) {
  return (
    <div className="grid grid-cols-[minmax(0,1fr)] gap-2">
      <ProgressBar label={`Loading: ${progress?.message ?? "starting"}`} done={progress?.done ?? 0} total={progress?.total ?? 0} />
      <div className="flex items-center gap-2">
        <p role="status" className="tabular min-w-0 flex-1 truncate text-xs text-ink-2">
          {progress?.message ?? "Starting"}
          {progress?.unit === "bytes" && progress.total > 0 && `, ${formatBytes(progress.done)} of ${formatBytes(progress.total)}`}
        </p>
        <Button look="ghost" className="h-7 px-2" onClick={onCancel}>
          Cancel
        </Button>
      </div>
    </div>
  );
}
