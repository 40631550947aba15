import { redirect } from "next/navigation";

/** The chat is the shortest way to see a hybrid at work. */
export default function HomePage() {
  redirect("/chat");
}
