/**
 * Cross-origin isolation on every route: WebAssembly threads need SharedArrayBuffer, which browsers give only to
 * isolated pages, and worker scripts must carry the same headers as the page.
 */
const isolation = [
  { key: "Cross-Origin-Opener-Policy", value: "same-origin" },
  { key: "Cross-Origin-Embedder-Policy", value: "require-corp" },
  { key: "Cross-Origin-Resource-Policy", value: "same-origin" },
  { key: "X-Content-Type-Options", value: "nosniff" },
  { key: "Referrer-Policy", value: "same-origin" },
];

/** @type {import("next").NextConfig} */
const nextConfig = {
  // Compression would buffer event streams and turn the strong ETags of bundle files into weak ones.
  compress: false,
  // `next dev` would otherwise write a file into the source tree.
  agentRules: false,
  devIndicators: false,
  poweredByHeader: false,
  reactStrictMode: true,
  headers: async () => [{ source: "/:path*", headers: isolation }],
};

export default nextConfig;
