// Asks the cluster with OpenAI's own client for JavaScript, and prints what came as JSON.
import OpenAI from "openai";

const question = { role: "user", content: process.env.QUESTION };
const client = new OpenAI({
  baseURL: `${process.env.GATEWAY_URL}/v1`,
  apiKey: process.env.TOKEN ?? "none",
  maxRetries: 0,
});
const model = process.env.MODEL ?? "smollm2-135m";

const models = [];
for await (const found of client.models.list()) models.push(found.id);

const chat = { model, messages: [question], max_tokens: 16, temperature: 0 };
const answer = await client.chat.completions.create(chat);

const pieces = [];
for await (const part of await client.chat.completions.create({ ...chat, stream: true })) {
  const text = part.choices[0]?.delta.content;
  if (text) pieces.push(text);
}

const response = await client.responses.create({ model, input: question.content, max_output_tokens: 16, temperature: 0 });

let refusal = null;
try {
  await client.chat.completions.create({ ...chat, model: "unknown" });
} catch (error) {
  refusal = error.constructor.name;
}

console.log(JSON.stringify({
  models,
  answer: answer.choices[0].message.content,
  pieces,
  response: response.output_text,
  refusal,
}));
