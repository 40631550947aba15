import type { Metadata } from "next";
import { NodesPage } from "@/components/train/nodes/NodesPage";

export const metadata: Metadata = { title: "Nodes" };

export default function Page() {
  return <NodesPage />;
}
