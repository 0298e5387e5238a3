/** Where kubectl finds the agents. */
export const agentPods = "-l app=signet-node-agent -n signet-system";

export const urls = ["http://httpbin.foo:8000/ip", "http://httpbin.bar:8000/ip"];

const names = ["foo", "bar"];

/** The task's own command, and what it prints when all is well. */
export const fourRequests =
  'for from in "foo" "bar"; do for to in "foo" "bar"; do kubectl exec ' +
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash fills these in
  "$(kubectl get pod -l app=sleep -n ${from} -o jsonpath={.items..metadata.name}) -c sleep -n ${from} -- " +
  // biome-ignore lint/suspicious/noTemplateCurlyInString: bash fills these in
  'curl "http://httpbin.${to}:8000/ip" -s -o /dev/null -w "sleep.${from} to httpbin.${to}: %{http_code}\\n"; done; done';

export const fourTimes200 = names
  .flatMap((from) => names.map((to) => `sleep.${from} to httpbin.${to}: 200\n`))
  .join("");
