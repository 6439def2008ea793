/**
 * A driver without sockets: what it was asked for waits until a test says what came of it. It fails the test when it is
 * used against its contract.
 */
import assert from "node:assert/strict";
import type {
  ConnectFault,
  ReadEnd,
  RelayOptions,
  RelayReason,
  TcpConn,
  TcpDriver,
  TlsAgreement,
} from "#net/driver.ts";

type Look = Parameters<TcpConn["read"]>[1];

export class FakeConn implements TcpConn {
  readonly local = { address: "192.0.2.1", port: 443 };
  readonly remote: { readonly address: string; readonly port: number };
  look: Look | undefined;
  held: Uint8Array = new Uint8Array(0);
  state: "open" | "relayed" | "gone" = "open";

  constructor(address: string) {
    this.remote = { address, port: 50_000 };
  }
  read(_options: { readonly maxOctets: number; readonly timeoutMs: number }, look: Look): void {
    assert.equal(this.state, "open", "read() of a conn that is no longer one's own");
    this.look = look;
  }
  /** What came in; the look sees it together with what it has left. */
  receive(octets: Uint8Array): void {
    this.held = Buffer.concat([this.held, octets]);
    const { look } = this;
    if (!look) return;
    const consumed = look(this.held, undefined);
    if (consumed < 0) return;
    this.held = this.held.subarray(consumed);
    if (this.look === look) this.look = undefined;
  }
  endRead(why: ReadEnd): void {
    const { look } = this;
    this.look = undefined;
    look?.(undefined, why);
  }
  stream(): void {
    assert.fail("nobody streams here");
  }
  pause(): void {}
  resume(): void {}
  write(): boolean {
    return true;
  }
  writeText(): boolean {
    return true;
  }
  finish(): void {}
  unsent(): number {
    return 0;
  }
  close(): void {
    this.#end();
  }
  reset(): void {
    this.#end();
  }
  #end(): void {
    assert.notEqual(this.state, "relayed", "a conn that belongs to its relay was ended");
    this.state = "gone";
    this.look = undefined;
  }
}

export type FakeConnect = { done(result: TcpConn | ConnectFault): void };
export type FakeRelay = {
  end(reason: RelayReason, octets: number): void;
  firstOctet(): void;
  readonly isStopped: boolean;
};
export type FakeHandshake = { readonly conn: FakeConn; done(agreement: TlsAgreement | undefined): void };

export type FakeDriver = TcpDriver & {
  accept(conn: FakeConn): void;
  readonly connects: Set<FakeConnect>;
  readonly relays: Set<FakeRelay>;
  readonly handshakes: Set<FakeHandshake>;
  /** Does what a driver does by itself in a turn of its loop: ends what was stopped, closes listeners. */
  turn(): void;
};

export function createFakeDriver(): FakeDriver {
  const connects = new Set<FakeConnect>();
  const relays = new Set<FakeRelay>();
  const handshakes = new Set<FakeHandshake>();
  let later: (() => void)[] = [];
  let accepted: ((conn: TcpConn) => void) | undefined;

  return {
    connects,
    relays,
    handshakes,
    accept: (conn) => accepted?.(conn),
    turn() {
      const now = later;
      later = [];
      for (const run of now) run();
      for (const relay of [...relays]) if (relay.isStopped) relay.end("stopped", 0);
    },
    listen(_fd, _backlog, accept) {
      accepted = accept;
      return {
        close(closed) {
          later.push(() => {
            accepted = undefined;
            closed?.();
          });
        },
      };
    },
    connect(_to, _timeoutMs, done) {
      const connect: FakeConnect = {
        done(result) {
          assert.ok(connects.delete(connect), "a connect that is over came back");
          done(result);
        },
      };
      connects.add(connect);
      return () => void connects.delete(connect);
    },
    relay(client, upstream, _options: RelayOptions, done, firstOctet) {
      const conns = [client as FakeConn, upstream as FakeConn];
      for (const conn of conns) {
        assert.equal(conn.state, "open", "relay() of a conn that is no longer one's own");
        conn.state = "relayed";
        conn.look = undefined;
      }
      let isStopped = false;
      const relay: FakeRelay = {
        get isStopped() {
          return isStopped;
        },
        firstOctet,
        end(reason, octets) {
          assert.ok(relays.delete(relay));
          for (const conn of conns) conn.state = "gone";
          done({ reason, octetsToUpstream: octets, octetsToClient: octets });
        },
      };
      relays.add(relay);
      return {
        stop() {
          isStopped = true;
        },
      };
    },
    startTls(client, _terms, done) {
      const conn = client as FakeConn;
      assert.equal(conn.state, "open");
      const handshake: FakeHandshake = {
        conn,
        done(agreement) {
          handshakes.delete(handshake);
          if (agreement === undefined) conn.state = "gone";
          done(agreement);
        },
      };
      handshakes.add(handshake);
    },
    open: () => connects.size + relays.size,
    close() {},
  };
}
