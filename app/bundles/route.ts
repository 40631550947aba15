import { listFamilies } from "@/lib/home/families";

export const dynamic = "force-dynamic";

/** The families, and which of their files are present. */
export async function GET(): Promise<Response> {
  return Response.json(await listFamilies(), { headers: { "Cache-Control": "no-store" } });
}
