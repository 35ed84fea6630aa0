"""Writes a price into a SQLite file, and reads it from Vantage: read_your_write.py FILE URL"""

import json
import random
import sqlite3
import sys
import urllib.request


def write_price(file: str, product: int, cents: int) -> str:
    """Gives the product a price; returns the place of that change."""
    connection = sqlite3.connect(file, timeout=10, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE prices SET price_cents = ? WHERE product_id = ?", (cents, product))
        # Within the transaction, so that no other writer's change is waited for.
        (change,) = connection.execute("SELECT max(id) FROM _vantage_changes").fetchone()
        connection.execute("COMMIT")
        return f"pricing@{change}"
    finally:
        connection.close()


def read_card(url: str, product: int, after: str) -> dict:
    """Reads the product's card as of that place or a later one; 503 when that takes longer than five seconds."""
    headers = {"Vantage-After": after, "Vantage-Timeout-Ms": "5000"}
    request = urllib.request.Request(f"{url}/v1/views/card/{product}", headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main() -> None:
    file, url = sys.argv[1:]
    cents = random.randrange(100, 100_000)
    after = write_price(file, 1, cents)
    card = read_card(url, 1, after)
    print(f"wrote {cents} at {after}, read {card['price_cents']}")
    if card["price_cents"] != cents:
        sys.exit("the card does not have the price that was written")


if __name__ == "__main__":
    main()
