"""A real Apache Kafka on loopback, one node or three: its jars from Maven Central, its driver's environment.

Everything lives under one work folder inside the checkout. The heap, the collector and the client
settings are the ones that served Kafka best on two cores.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

VERSION = "4.3.1"
CONFLUENT_KAFKA = "confluent-kafka==2.15.0"
CLUSTER_ID = "c3RyZWFta2VlcC1iZW5jaA"
BROKER_PORT, CONTROLLER_PORT = 19090, 19190
"""Of node 0: node 1 is at the next."""
START_TIMEOUT_S = 180

POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>bench</groupId><artifactId>peer</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{version}</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-core</artifactId><version>2.24.3</version></dependency>
<dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
</dependencies></project>
"""

LOG4J = """<Configuration status="warn">
<Appenders><Console name="c"><PatternLayout pattern="%d %p %c %m%n"/></Console></Appenders>
<Loggers><Root level="info"><AppenderRef ref="c"/></Root></Loggers></Configuration>
"""

PROPERTIES = """process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={min_isr}
min.insync.replicas={min_isr}
group.initial.rebalance.delay.ms=0
message.max.bytes=8388608
replica.fetch.max.bytes=8388608
"""


class Kafka:
    """Nodes numbered from 1, in KRaft combined mode, page-cache durability (Kafka's default).

    Three nodes have three replicas of everything, two of which have to be in sync.
    """

    def __init__(self, work: Path, nodes: int = 1) -> None:
        self.nodes = list(range(1, nodes + 1))
        self.bootstrap = ",".join(f"127.0.0.1:{BROKER_PORT + node}" for node in self.nodes)
        self._lib = work / f"kafka-{VERSION}" / "lib"
        self._run = work / "kafka-run"
        self._venv = work / "peer-venv"
        self._work = work
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def python(self) -> Path:
        return self._venv / "bin" / "python"

    def get(self) -> None:
        """Fetch what is missing; needs `mvn` and `java` on the PATH."""
        for tool in ("java", "mvn"):
            if shutil.which(tool) is None:
                raise SystemExit(f"the benchmark's peer needs `{tool}` on the PATH")
        self._work.mkdir(parents=True, exist_ok=True)
        if not self._lib.exists():
            pom = self._work / "pom.xml"
            pom.write_text(POM.format(version=VERSION))
            goal = [
                "dependency:copy-dependencies",
                f"-DoutputDirectory={self._lib}",
                "-DincludeScope=runtime",
            ]
            subprocess.run(["mvn", "-q", "-f", str(pom), *goal], check=True)
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(self._venv)], check=True)
            subprocess.run([str(self.python), "-m", "pip", "install", "-q", CONFLUENT_KAFKA], check=True)

    def start(self) -> float:
        """Start all nodes on fresh data folders; return the seconds until they say that they have started."""
        shutil.rmtree(self._run, ignore_errors=True)
        self._run.mkdir(parents=True)
        (self._run / "log4j2.xml").write_text(LOG4J)
        for node in self.nodes:
            self._properties(node).write_text(self._settings(node))
            tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties(node))]
            subprocess.run(self._java("-Xmx256m", *tool), check=True, stdout=subprocess.DEVNULL)
        began = time.perf_counter()
        for node in self.nodes:
            self.spawn(node)
        for node in self.nodes:
            self.wait_until_started(node)
        return time.perf_counter() - began

    def spawn(self, node: int) -> None:
        """Start one node, or start it again."""
        heap = ["-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20"]
        server = self._java(*heap, "kafka.Kafka", str(self._properties(node)))
        with self._log(node).open("wb") as out:
            self._processes[node] = subprocess.Popen(server, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def wait_until_started(self, node: int) -> None:
        deadline_s = time.perf_counter() + START_TIMEOUT_S
        while b"Kafka Server started" not in self._log(node).read_bytes():
            if self._processes[node].poll() is not None or time.perf_counter() > deadline_s:
                raise SystemExit(f"Kafka did not start; see {self._log(node)}")
            time.sleep(0.05)

    def signal(self, node: int, number: signal.Signals) -> None:
        self._processes[node].send_signal(number)

    def ended(self, node: int) -> None:
        """Wait until its process is gone."""
        self._processes[node].wait(timeout=START_TIMEOUT_S)

    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values()]

    def stop(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()
        self._processes.clear()
        shutil.rmtree(self._run, ignore_errors=True)

    def _properties(self, node: int) -> Path:
        return self._run / f"server-{node}.properties"

    def _log(self, node: int) -> Path:
        return self._run / f"server-{node}.log"

    def _settings(self, node: int) -> str:
        return PROPERTIES.format(
            node=node,
            voters=",".join(f"{each}@127.0.0.1:{CONTROLLER_PORT + each}" for each in self.nodes),
            broker=BROKER_PORT + node,
            controller=CONTROLLER_PORT + node,
            data=self._run / f"data-{node}",
            replicas=len(self.nodes),
            min_isr=len(self.nodes) // 2 + 1,
        )

    def _java(self, *arguments: str) -> list[str]:
        options = [f"-Dlog4j2.configurationFile={self._run / 'log4j2.xml'}", "-Djava.awt.headless=true"]
        flags = [argument for argument in arguments if argument.startswith("-X")]
        rest = [argument for argument in arguments if not argument.startswith("-X")]
        return ["java", *flags, *options, "-cp", f"{self._lib}/*", *rest]
