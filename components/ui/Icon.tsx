/** Line icons, 16 px, drawn with the text's colour. */
const paths = {
  sun: "M8 5.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6ZM8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  moon: "M13.3 9.6A5.8 5.8 0 0 1 6.4 2.7a5.8 5.8 0 1 0 6.9 6.9Z",
  display: "M2 3h12v8H2zM6 14h4M8 11v3",
  send: "M8 13.5v-11M3.5 7 8 2.5 12.5 7",
  stop: "M4.5 4.5h7v7h-7z",
  copy: "M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z",
  check: "m3 8.5 3.2 3L13 4.5",
  edit: "m10.5 3.2 2.3 2.3-7.3 7.3-3 .7.7-3zM9 4.7 11.3 7",
  retry: "M13 8a5 5 0 1 1-1.5-3.6M13 2.2v3h-3",
  plus: "M8 3v10M3 8h10",
  download: "M8 2.5v8M4.5 7.5 8 11l3.5-3.5M2.5 13.5h11",
  close: "m4 4 8 8M12 4l-8 8",
  chevron: "m6 4 4 4-4 4",
  trash: "M2.5 4.5h11M6 4.5v-2h4v2M4 4.5l.6 9h6.8l.6-9",
  alert: "M8 5.5v3.2M8 11v.2M8 1.8 1.6 13.2h12.8z",
  info: "M8 7.3v4M8 4.8v.2M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8Z",
  undo: "M6 3 2.8 6.2 6 9.4M3 6.2h6.5a3.6 3.6 0 0 1 0 7.2H6.5",
  redo: "m10 3 3.2 3.2L10 9.4M13 6.2H6.5a3.6 3.6 0 0 0 0 7.2h3",
  link: "M6.8 9.2a2.8 2.8 0 0 0 4 0l2.4-2.4a2.8 2.8 0 0 0-4-4l-1 1M9.2 6.8a2.8 2.8 0 0 0-4 0L2.8 9.2a2.8 2.8 0 0 0 4 4l1-1",
  columns: "M2.5 2.5h11v11h-11zM8 2.5v11",
  clock: "M8 4.6V8l2.3 1.6M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8Z",
  play: "M5 3.2v9.6L12.5 8z",
  bolt: "M9 1.8 3.5 9H8l-1 5.2L12.5 7H8z",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9ZM10.3 10.3l3.2 3.2",
  server: "M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.1M5 11h.1",
  lock: "M4 7.2h8v6H4zM5.5 7.2V5a2.5 2.5 0 0 1 5 0v2.2",
  curves: "M2.5 2.5v11h11M5 10.5c1-4 2.3-5 4-5.2 1.5-.2 2.5-.8 4-2.3",
} as const;

export type IconName = keyof typeof paths;

/** Decorative: the control around it carries the label. */
export function Icon({ name, className = "size-3.5" }: { name: IconName; className?: string }) {
  return (
    <svg
      aria-hidden
      viewBox="0 0 16 16"
      className={`shrink-0 ${className}`}
      fill="none"
      stroke="currentColor"
      strokeWidth={1.4}
      strokeLinecap="round"
      strokeLinejoin="round"
    >
      <path d={paths[name]} />
    </svg>
  );
}
