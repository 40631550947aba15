"use client";

import { useEffect, useState } from "react";
import { Notice } from "@/components/ui/Notice";
import { useConnection } from "./events";

/** Said only after a while: a connection that is back at once is no news. */
const PATIENCE = 3000;

/** That the server is not heard, and what that means for runs. */
export function ConnectionNotice() {
  const waiting = useConnection(({ state }) => state === "waiting");
  const [shown, setShown] = useState(false);
  useEffect(() => {
    if (!waiting) return;
    const timer = setTimeout(() => setShown(true), PATIENCE);
    return () => {
      clearTimeout(timer);
      setShown(false);
    };
  }, [waiting]);
  return shown ? <Notice tone="warn" message="The dashboard's server does not answer: what is shown stands still." action="It is tried again by itself. Runs go on without the dashboard." /> : null;
}
