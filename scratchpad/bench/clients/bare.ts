/** A socket and nothing on it: what an idle connection costs at least. */
import * as Net from "node:net"
import type { Client } from "../client.ts"

const none = () => Promise.reject(new Error("a bare socket"))

export const client: Client = {
  open: ({ port }) =>
    new Promise((resolve, reject) => {
      const socket = Net.connect({ port, host: "127.0.0.1" })
      socket.once("error", reject)
      socket.once("connect", () =>
        resolve({
          publishers: none,
          consume: none,
          calls: none,
          close: async () => void socket.destroy()
        }))
    })
}
