"""The network: one small interface (`base`), one pool of our own (`pool`), one importer of httpx (`http`)."""
