"use client";

import Link from "next/link";
import { usePathname } from "next/navigation";
import type { ReactNode } from "react";
import { ThemeToggle } from "./ThemeToggle";

const pages = [
  { href: "/explore", label: "Explore" },
  { href: "/speculate", label: "Speculate" },
  { href: "/chat", label: "Chat" },
  { href: "/train", label: "Train" },
  { href: "/models", label: "Models" },
] as const;

/** The bar at the top of every page; `aside` stands before the theme. */
export function Header({ aside }: { aside?: ReactNode }) {
  const path = usePathname();
  return (
    <header className="sticky top-0 z-20 border-b border-line bg-canvas/90 backdrop-blur-sm">
      <div className="flex flex-wrap items-center gap-x-6 px-4 sm:h-12 sm:flex-nowrap sm:px-5">
        <Link href="/" className="flex h-11 items-center gap-2.5 font-semibold tracking-tight sm:h-full">
          <Mark />
          Mambascope
        </Link>
        <nav aria-label="Pages" className="order-last -mx-1 w-full sm:order-none sm:mx-0 sm:h-full sm:w-auto">
          <ul className="flex h-full justify-between gap-0.5 sm:justify-start sm:gap-1">
            {pages.map(({ href, label }) => {
              const current = path === href || path.startsWith(`${href}/`);
              return (
                <li key={href} className="sm:h-full">
                  <Link
                    href={href}
                    aria-current={current ? "page" : undefined}
                    className={`flex h-9 items-center border-b-2 px-2 text-[13px] sm:h-full sm:px-2.5 ${
                      current ? "border-ink font-medium text-ink" : "border-transparent text-ink-2 hover:text-ink"
                    }`}
                  >
                    {label}
                  </Link>
                </li>
              );
            })}
          </ul>
        </nav>
        <div className="ml-auto flex items-center">
          {aside}
          <ThemeToggle />
        </div>
      </div>
    </header>
  );
}

/** A stack of four layers, two of them Mamba. */
function Mark() {
  const rows = ["attention", "mamba", "mamba", "attention"] as const;
  return (
    <span aria-hidden className="grid w-4 gap-0.5">
      {rows.map((row, index) => (
        <span key={index} className={`h-[3px] rounded-[1px] ${row === "attention" ? "bg-attention" : "bg-mamba"}`} />
      ))}
    </span>
  );
}
