import Link from "next/link";
import { PageHeading } from "@/components/ui/PageHeading";

export default function NotFound() {
  return (
    <div className="mx-auto w-full max-w-5xl px-4 py-16 sm:px-5">
      <PageHeading title="There is no such page">The address may be old or mistyped.</PageHeading>
      <Link href="/chat" className="mt-4 inline-block text-accent underline underline-offset-4">
        Go to the chat
      </Link>
    </div>
  );
}
