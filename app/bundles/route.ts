import { listFamilies } from "@/lib/home/families";
import { bundleRoots } from "@/lib/home/paths";
import { renewManifests } from "@/lib/training/service/install-export";

export const dynamic = "force-dynamic";

let renewed: Promise<void> | null = null;

/** Once a process: families that hold trained mixers follow what the project ships now. A folder that cannot be written stays as it is. */
function renew(): Promise<void> {
  const folderOf = (kind: "home" | "shipped") => bundleRoots().find((root) => root.kind === kind)?.folder ?? "";
  renewed ??= renewManifests({ models: folderOf("home"), shipped: folderOf("shipped") }).catch((error: unknown) => console.error(error));
  return renewed;
}

/** The families, and which of their files are present. */
export async function GET(): Promise<Response> {
  await renew();
  return Response.json(await listFamilies(), { headers: { "Cache-Control": "no-store" } });
}
