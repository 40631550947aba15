"use client";

import { useState } from "react";
import { Button } from "@/components/ui/Button";
import { requestSession } from "./request";

/** Ends the session and shows the sign-in page. */
export function SignOut() {
  const [failed, setFailed] = useState(false);
  const leave = async () => {
    const refused = await requestSession("DELETE");
    if (refused) setFailed(true);
    else window.location.replace("/login");
  };
  return (
    <Button look="ghost" onClick={leave} className="mr-2">
      {failed ? "Not signed out. Try again" : "Sign out"}
    </Button>
  );
}
