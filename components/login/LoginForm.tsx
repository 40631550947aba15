"use client";

import { useId, useState, type FormEvent } from "react";
import { Button } from "@/components/ui/Button";
import { Notice } from "@/components/ui/Notice";
import { PageHeading } from "@/components/ui/PageHeading";
import { requestSession, type Failure } from "./request";

/** Asks for the server's password and goes on to `next`, a path of this server. */
export function LoginForm({ next }: { next: string }) {
  const id = useId();
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);

  const submit = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setFailure(null);
    const refused = await requestSession("POST", password);
    // A new document: what was loaded without a session is not kept.
    if (!refused) return window.location.replace(next);
    setFailure(refused);
    setBusy(false);
  };

  return (
    <div className="mx-auto grid w-full max-w-sm gap-6 px-4 py-16 sm:py-24">
      <PageHeading title="Sign in">This server is open to other machines, so it asks for its password.</PageHeading>
      <form onSubmit={submit} className="grid gap-4">
        <div className="grid gap-1">
          <label htmlFor={id} className="text-xs text-ink-2">
            Password
          </label>
          <input
            id={id}
            type="password"
            autoComplete="current-password"
            autoFocus
            required
            value={password}
            onChange={(event) => setPassword(event.target.value)}
            className="h-8 w-full rounded-md border border-line-strong bg-surface px-2.5 text-[13px]"
          />
        </div>
        {failure && <Notice tone="bad" message={failure.message} action={failure.action} />}
        <Button type="submit" look="primary" disabled={busy}>
          {busy ? "Signing in" : "Sign in"}
        </Button>
      </form>
    </div>
  );
}
