/** Small wheels made on the spot, so that pip installs for real without any index. */
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";

const execute = promisify(execFile);

const script = `
import base64, hashlib, json, sys, zipfile
folder, name, version, files = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
info = f"{name}-{version}.dist-info"
files = {**files, f"{info}/METADATA": f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n",
 f"{info}/WHEEL": "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"}
digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
record = "".join(f"{path},sha256={digest(text)},{len(text.encode())}\\n" for path, text in files.items()) + f"{info}/RECORD,,\\n"
with zipfile.ZipFile(f"{folder}/{name}-{version}-py3-none-any.whl", "w") as wheel:
    for path, text in {**files, f"{info}/RECORD": record}.items():
        wheel.writestr(path, text)
`;

/** Writes a wheel with modules (path -> source) into a folder for `pip --find-links`. */
export async function makeWheel(python: string, folder: string, name: string, version: string, files: Record<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true });
  await execute(python, ["-c", script, folder, name, version, JSON.stringify(files)]);
}

/** What the node asks a PyTorch for, in a package that weighs nothing. */
export function torchStandIn(version: string): Record<string, string> {
  return {
    "torch/__init__.py": `from . import cuda, version\n__version__ = "${version}"\n`,
    "torch/version.py": "cuda = None\n",
    "torch/cuda.py": "def is_available():\n    return False\n\ndef device_count():\n    return 0\n",
  };
}
