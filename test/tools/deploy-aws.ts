/**
 * Makes the Lambda function's deployment package out of the bundle and a configuration, and deploys it with SAM.
 *   npm run deploy:aws -- --config FILE [--stack NAME] [--dry-run] [-- more for `sam deploy`]
 * `--dry-run` stops once the package is made. The stack's name is signet-ca unless told.
 */
import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { repoRoot } from "../support/repo.ts";
import { packageLambda } from "./lambda-package.ts";

const usage = "npm run deploy:aws -- --config FILE [--stack NAME] [--dry-run] [-- OPTIONS OF sam deploy]";
try {
  const { values, positionals } = parseArgs({
    options: {
      config: { type: "string" },
      stack: { type: "string", default: "signet-ca" },
      "dry-run": { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    process.exit();
  }
  if (values.config === undefined) throw new Error(`--config FILE: the CA's configuration is needed\n${usage}`);
  // Where infra/aws/template.yaml looks for it.
  const folder = join(repoRoot, "ca-worker/dist/lambda-package");
  // npm runs this in the root of the project, wherever it was called.
  const files = packageLambda(resolve(process.env.INIT_CWD ?? "", values.config), folder);
  process.stdout.write(`${folder} holds ${files.join(", ")}\n`);
  if (!values["dry-run"]) process.exitCode = deploy(values.stack, positionals);
} catch (error) {
  process.stderr.write(`deploy:aws: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}

function deploy(stack: string, more: readonly string[]): number {
  const template = join(repoRoot, "infra/aws/template.yaml");
  const args = ["deploy", "--template-file", template, "--stack-name", stack, "--capabilities", "CAPABILITY_IAM"];
  const { status, error } = spawnSync("sam", [...args, "--resolve-s3", "--no-fail-on-empty-changeset", ...more], {
    stdio: "inherit",
  });
  if (error !== undefined) {
    throw new Error(`sam cannot be started (${error.message}); install it with: pip install aws-sam-cli`);
  }
  return status ?? 1;
}
