/** The inference worker with the sizes of its GPU buffers counted: what counts must come first. */
import "./count-gpu-bytes";
import "@/workers/inference.worker";
