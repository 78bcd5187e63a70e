"""What a programme says is its transcript; what it asks for (`drop`, `block`, `unblock`, `close`) the test does."""
import sys

url, limited, vhost = sys.argv[1:]


def say(*words):
    print(*words)


def ask(what):
    print("!", what)
    sys.stdin.readline()
