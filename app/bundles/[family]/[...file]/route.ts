import { locateBundleFile, respondWithFile } from "@/lib/home/bundle-file";

type Context = { params: Promise<{ family: string; file: string[] }> };

/** One file of a bundle: from the home folder if it is there, else from what ships. Ranges, ETag, immutable with `?v=<sha256 prefix>`. */
export async function GET(request: Request, { params }: Context): Promise<Response> {
  const { family, file } = await params;
  let located;
  try {
    located = await locateBundleFile(family, file);
  } catch (error) {
    return Response.json({ error: `The manifest of ${family} cannot be read: ${String(error)}` }, { status: 500 });
  }
  if (!located) {
    return Response.json({ error: "There is no such file in the home folder or in what ships." }, { status: 404, headers: { "Cache-Control": "no-store" } });
  }
  return respondWithFile(request, located);
}

export const HEAD = GET;
