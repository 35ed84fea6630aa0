// Writes a product's name into PostgreSQL, and reads it from Vantage: read_your_write.js POSTGRES_URL URL

import { Client } from "pg";

interface Card {
  id: number;
  name: string;
}

/** Names the product; returns the place of that change. */
async function writeName(database: string, product: number, name: string): Promise<string> {
  const client = new Client({ connectionString: database });
  await client.connect();
  try {
    await client.query("BEGIN");
    await client.query("UPDATE products SET name = $1 WHERE id = $2", [name, product]);
    await client.query("COMMIT");
    // After COMMIT: the commit itself stands behind all places that could be asked for before it.
    const answer = await client.query("SELECT pg_current_wal_insert_lsn() AS lsn");
    return `catalog@${answer.rows[0].lsn}`;
  } finally {
    await client.end();
  }
}

/** Reads the product's card as of that place or a later one; 503 when that takes longer than five seconds. */
async function readCard(url: string, product: number, after: string): Promise<Card> {
  const headers = { "Vantage-After": after, "Vantage-Timeout-Ms": "5000" };
  const answer = await fetch(`${url}/v1/views/card/${product}`, { headers });
  if (!answer.ok) {
    throw new Error(`${answer.status}: ${await answer.text()}`);
  }
  return (await answer.json()) as Card;
}

async function main(): Promise<void> {
  const [database, url] = process.argv.slice(2);
  const name = `Lamp ${Math.floor(Math.random() * 1e6)}`;
  const after = await writeName(database, 1, name);
  const card = await readCard(url, 1, after);
  console.log(`wrote ${name} at ${after}, read ${card.name}`);
  if (card.name !== name) {
    throw new Error("the card does not have the name that was written");
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
