/** The id of one item of a batch: that of its request, and where it stands in it. */
export function itemRequestId(requestId: string, index: number): string {
  return `${requestId}-${index}`;
}

/** The id of the request that an item came with; of a request of its own, that very id. */
export function wholeRequestId(requestId: string): string {
  return requestId.split("-", 1).join();
}
