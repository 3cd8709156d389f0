"""The ledger for readers: console, Markdown and HTML pages, the graph of claims, figures."""
