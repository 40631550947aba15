import { Icon, type IconName } from "@/components/ui/Icon";
import type { TrainingNode } from "@/lib/training/types";

type Look = { word: string; icon: IconName; tone: string };

function lookOf({ state, environment, kind }: TrainingNode): Look {
  if (environment.state === "preparing") return { word: "Preparing", icon: "retry", tone: "text-accent" };
  switch (state) {
    case "connected":
      return environment.state === "ready" ? { word: "Ready", icon: "check", tone: "text-good" } : { word: "Connected", icon: "check", tone: "text-ink-2" };
    case "connecting":
      return { word: "Connecting", icon: "retry", tone: "text-ink-2" };
    case "lost":
      return { word: "Connection lost", icon: "retry", tone: "text-warn" };
    case "failed":
      return { word: "Cannot be reached", icon: "alert", tone: "text-bad" };
    case "idle":
      return { word: kind === "local" && environment.state === "ready" ? "Ready" : "Not connected", icon: kind === "local" ? "check" : "server", tone: "text-ink-2" };
  }
}

/** How a node stands, as icon and word. */
export function NodeState({ node }: { node: TrainingNode }) {
  const { word, icon, tone } = lookOf(node);
  return (
    <span className={`inline-flex items-center gap-1 text-2xs whitespace-nowrap ${tone}`}>
      <Icon name={icon} className="size-3" />
      {word}
    </span>
  );
}
