"use client";

import { useEffect, useState } from "react";
import { IconButton } from "./Button";

/** Copies text and says so for a moment. */
export function CopyButton({ label, text, disabled }: { label: string; text: () => string; disabled?: boolean }) {
  const [state, setState] = useState<"idle" | "copied" | "failed">("idle");
  useEffect(() => {
    if (state === "idle") return;
    const timer = setTimeout(() => setState("idle"), 1600);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = () =>
    navigator.clipboard.writeText(text()).then(
      () => setState("copied"),
      () => setState("failed"),
    );
  return (
    <>
      <IconButton
        icon={state === "copied" ? "check" : state === "failed" ? "alert" : "copy"}
        label={state === "failed" ? "The browser did not allow copying" : label}
        disabled={disabled}
        onClick={() => void copy()}
      />
      <span role="status" className="sr-only">
        {state === "copied" ? "Copied" : ""}
      </span>
    </>
  );
}
