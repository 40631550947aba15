import { CopyButton } from "./CopyButton";

/** Copies a link to the present view; `left` says what is too long for it, if something is. */
export function ShareLink({ left, address }: { left: string | null; address: () => string }) {
  return (
    <div className="ml-auto flex items-center gap-1 text-2xs text-ink-3">
      {left && <span>{left}</span>}
      <span aria-hidden>Copy link</span>
      <CopyButton label="Copy a link to this view" text={address} />
    </div>
  );
}
