// Reads UI message streams with the AI SDK itself: bodies as a JSON list on stdin, messages and errors on stdout.
import { DefaultChatTransport, readUIMessageStream } from "ai";

let text = "";
for await (const piece of process.stdin) text += piece;
const found = [];
for (const body of JSON.parse(text)) {
  const fetch = async () =>
    new Response(body, { headers: { "content-type": "text/event-stream", "x-vercel-ai-ui-message-stream": "v1" } });
  const asked = { chatId: "1", trigger: "submit-message", messages: [{ id: "1", role: "user", parts: [] }] };
  const stream = await new DefaultChatTransport({ api: "http://app/chat", fetch }).sendMessages(asked);
  const errors = [];
  let message = null;
  for await (const so_far of readUIMessageStream({ stream, onError: (error) => errors.push(String(error)) }))
    message = structuredClone(so_far);
  found.push({ message, errors });
}
console.log(JSON.stringify(found));
