import { openServed } from "../contract/served.ts";
import type { Served } from "../contract/served.ts";
import { documentedProxy } from "./support/documented-proxies.ts";
import { startHaproxy } from "./support/haproxy.ts";
import { proxiedContract, proxiedWorkerContract } from "./support/proxied-contract.ts";

for (const byWorker of [false, true]) {
  describe(`through haproxy as in docs/proxies.md${byWorker ? " with a worker" : ""},`, () => {
    const opened = new AsyncDisposableStack();
    let served: Served;
    before(async () => {
      const at = { url: "", address: "" };
      const startProxy = async ({ address, url }: { address: string; url: string }) => {
        const {
          configuration,
          at: proxied,
          ports,
        } = await documentedProxy("haproxy", {
          http: new URL(url).host,
          grpc: address,
        });
        opened.use(await startHaproxy({ configuration, ports }));
        at.url = `http://${proxied.http}`;
        at.address = proxied.grpc;
        return at.address;
      };
      const server = opened.use(await openServed({ byWorker, workerAt: startProxy }));
      if (!byWorker) await startProxy(server);
      served = { ...server, ...at };
    });
    after(() => opened[Symbol.asyncDispose]());

    if (byWorker) proxiedWorkerContract(() => served);
    else proxiedContract(() => served);
  });
}
