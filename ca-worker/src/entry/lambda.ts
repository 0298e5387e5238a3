import { fetchAfterThaw } from "./aws/fetch.ts";
import { createHandler } from "./aws/handler.ts";
import { createLambdaLogger } from "./aws/log.ts";
import { start } from "./aws/start.ts";
import { systemTimer } from "./timer.ts";

const { env } = process;
const clock = () => Date.now() / 1000;
const logger = createLambdaLogger({
  // A write to Lambda's pipe is done when it returns; a function may be frozen right after its answer.
  write: (line) => process.stdout.write(line),
  clock,
  debug: /^(?:debug|trace)$/i.test(env.AWS_LAMBDA_LOG_LEVEL ?? ""),
});

const served = await start({
  environment: env,
  folder: env.LAMBDA_TASK_ROOT ?? process.cwd(),
  fetch: fetchAfterThaw((url, init) => fetch(url, init)),
  clock,
  setTimer: systemTimer,
  logger,
});

/** The function, for an AWS Lambda runtime of Node. Made in the init phase, so that it is ready at the first event. */
export const handler = createHandler(served, logger);
