#!/bin/sh
# librabbitmq's tools: each is a connection of its own, and tells by its words and its exit code.
url=$1 limited=$2 vhost=$3

# What is run, and what it says.
run() {
  echo "$ $*" | sed "s,$limited,LIMITED,g; s,$url,URL,g; s,amqp:.*$vhost,AMQP,g"
  "$@" 2>&1 | sed "s,amq.gen-[A-Za-z0-9_-]*,amq.gen-,"
  echo
}

# How it ends, where the words are those of the system's sockets.
code() {
  "$@" >/dev/null 2>&1
  echo "[$?]"
}

ask() {
  echo "! $1"
  read -r _
}

folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT

# The tools take every option for their own, also behind the command they are to run.
handler() {
  printf '#!/bin/sh\n%s\n' "$2" >"$folder/$1"
  chmod +x "$folder/$1"
}

# Declarations, and what contradicts them
run amqp-declare-queue -u "$url" -q mine -d
run amqp-declare-queue -u "$url" -q mine -d
run amqp-declare-queue -u "$url" -q mine
run amqp-declare-queue -u "$url" -q amq.mine
run amqp-declare-queue -u "$url" -q ''
run amqp-declare-queue -u "$limited" -q mine -d
run amqp-declare-queue -u "$limited" -q yours
code amqp-declare-queue -u "$url" -q mine

# Publishing and getting
run amqp-publish -u "$url" -r mine -b one
printf two | run amqp-publish -u "$url" -r mine -p -C text/plain -E identity -t reply
printf 'three\nfour\n' | run amqp-publish -u "$url" -r mine -l
run amqp-publish -u "$url" -r mine -b five -H 'a: 1' -H 'b: two'
run amqp-get -u "$url" -q mine
run amqp-get -u "$url" -q mine
run amqp-get -u "$url" -q mine
run amqp-consume -u "$url" -q mine -c 2 -p 1 cat
run amqp-get -u "$url" -q mine
code amqp-get -u "$url" -q mine
run amqp-get -u "$url" -q missing
run amqp-get -u "$limited" -q yours
run amqp-publish -u "$url" -r nowhere -b 'lost without a word'
run amqp-publish -u "$url" -e missing -r k -b x
run amqp-publish -u "$limited" -e amq.direct -r k -b x
run amqp-publish -u "$limited" -r mine -b x

# Consuming: refusals, a handler that fails, what needs no acknowledgement
run amqp-consume -u "$url" -q missing cat
run amqp-consume -u "$url" -e missing -r k cat
run amqp-consume -u "$limited" -q yours cat
run amqp-consume -u "$url" -q mine -x cat
run amqp-publish -u "$url" -r mine -b 1
run amqp-publish -u "$url" -r mine -b 2
handler keep 'cat; echo " is kept"; exit 1'
PATH=$PATH:$folder run amqp-consume -u "$url" -q mine -c 1 keep
run amqp-consume -u "$url" -q mine -A -c 2 cat
run amqp-get -u "$url" -q mine

# By a queue of its own on an exchange
amqp-consume -u "$url" -e amq.topic -r 'a.#' -c 1 cat 2>"$folder/bound" >"$folder/routed" &
until [ -s "$folder/bound" ]; do sleep 0.02; done
sleep 0.1
run amqp-publish -u "$url" -e amq.topic -r b.a -b elsewhere
run amqp-publish -u "$url" -e amq.topic -r a.b.c -b routed
wait $!
echo "$(cat "$folder/routed") [$?]"

# A message of many frames
head -c 1000000 /dev/zero | run amqp-publish -u "$url" -r mine
amqp-get -u "$url" -q mine | wc -c

# Deletions
run amqp-publish -u "$url" -r mine -b left
run amqp-delete-queue -u "$url" -q mine --if-empty
run amqp-get -u "$url" -q mine
run amqp-delete-queue -u "$url" -q mine --if-empty --if-unused
run amqp-delete-queue -u "$url" -q mine
run amqp-delete-queue -u "$limited" -q yours

# Who is not let in
run amqp-get -u "$(echo "$url" | sed s/guest:guest/guest:wrong/)" -q mine
run amqp-get -u "$url-not" -q mine

# A connection that ends under a consumer; a shell's way to come back is to start it again
run amqp-declare-queue -u "$url" -q mine
handler note "cat; echo; echo >$folder/started"
amqp-publish -u "$url" -r mine -b before
amqp-consume -u "$url" -q mine -c 2 "$folder/note" 2>/dev/null &
until [ -s "$folder/started" ]; do sleep 0.02; done
sleep 0.1
ask drop
wait $!
echo "dropped [$?]"
run amqp-publish -u "$url" -r mine -b after
run amqp-consume -u "$url" -q mine -c 1 cat
run amqp-delete-queue -u "$url" -q mine
