import "@fontsource-variable/inter";
import "@fontsource-variable/jetbrains-mono";
import "./globals.css";
import type { Metadata, Viewport } from "next";
import { headers } from "next/headers";
import type { ReactNode } from "react";
import { SignOut } from "@/components/login/SignOut";
import { Header } from "@/components/shell/Header";
import { Providers } from "@/components/shell/Providers";
import { themeScript } from "@/components/shell/theme";

export const metadata: Metadata = {
  title: { default: "Mambascope", template: "%s · Mambascope" },
  description: "A browser laboratory for hybrid attention–Mamba language models.",
};

export const viewport: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#fafaf9" },
    { media: "(prefers-color-scheme: dark)", color: "#111110" },
  ],
};

export default async function RootLayout({ children }: { children: ReactNode }) {
  const request = await headers();
  // Set by the proxy.
  const nonce = /'nonce-([^']+)'/.exec(request.get("content-security-policy") ?? "")?.[1];
  return (
    // The theme script sets data-theme before React sees the element.
    <html lang="en" suppressHydrationWarning>
      <head>
        <script nonce={nonce} suppressHydrationWarning dangerouslySetInnerHTML={{ __html: themeScript }} />
      </head>
      <body className="flex min-h-dvh flex-col">
        <a
          href="#main"
          className="sr-only focus:not-sr-only focus:fixed focus:left-3 focus:top-3 focus:z-50 focus:rounded-md focus:bg-surface focus:px-3 focus:py-2 focus:shadow-lg"
        >
          Skip to content
        </a>
        <Providers>
          <Header aside={request.get("x-mambascope-signed-in") === "1" ? <SignOut /> : null} />
          <main id="main" tabIndex={-1} className="flex min-h-0 flex-1 flex-col outline-none">
            {children}
          </main>
        </Providers>
      </body>
    </html>
  );
}
