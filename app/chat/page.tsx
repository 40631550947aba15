import type { Metadata } from "next";
import { Suspense } from "react";
import { ChatPage } from "@/components/chat/ChatPage";

export const metadata: Metadata = { title: "Chat" };

export default function Page() {
  return (
    <Suspense fallback={<p className="p-6 text-ink-3">Reading the list of models…</p>}>
      <ChatPage />
    </Suspense>
  );
}
