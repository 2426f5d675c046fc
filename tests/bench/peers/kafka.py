"""A real one-node Apache Kafka on loopback: its jars from Maven Central, its driver's virtual environment.

Everything lives under one work folder inside the checkout. The heap, the collector and the client
settings are the ones that served Kafka best on two cores.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

VERSION = "4.3.1"
CONFLUENT_KAFKA = "confluent-kafka==2.15.0"
CLUSTER_ID = "c3RyZWFta2VlcC1iZW5jaA"
BROKER_PORT, CONTROLLER_PORT = 19091, 19191
START_TIMEOUT_S = 60

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
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
message.max.bytes=8388608
"""


class Kafka:
    """One node, KRaft combined mode, page-cache durability (Kafka's default)."""

    bootstrap = f"127.0.0.1:{BROKER_PORT}"

    def __init__(self, work: Path) -> None:
        self._lib = work / f"kafka-{VERSION}" / "lib"
        self._run = work / "kafka-run"
        self._venv = work / "peer-venv"
        self._work = work
        self._process: subprocess.Popen[bytes] | None = None

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
        """Format a fresh data folder and start the node; return the seconds until it says it has started."""
        shutil.rmtree(self._run, ignore_errors=True)
        self._run.mkdir(parents=True)
        (self._run / "log4j2.xml").write_text(LOG4J)
        properties = self._run / "server.properties"
        properties.write_text(
            PROPERTIES.format(broker=BROKER_PORT, controller=CONTROLLER_PORT, data=self._run / "data")
        )
        tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(properties)]
        subprocess.run(self._java("-Xmx256m", *tool), check=True, stdout=subprocess.DEVNULL)
        began = time.perf_counter()
        log = self._run / "server.log"
        with log.open("wb") as out:
            server = self._java(
                "-Xmx1g", "-Xms1g", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "kafka.Kafka", str(properties)
            )
            self._process = subprocess.Popen(server, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        while b"Kafka Server started" not in log.read_bytes():
            if self._process.poll() is not None or time.perf_counter() - began > START_TIMEOUT_S:
                raise SystemExit(f"Kafka did not start; see {log}")
            time.sleep(0.05)
        return time.perf_counter() - began

    def pids(self) -> list[int]:
        return [self._process.pid] if self._process else []

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
        shutil.rmtree(self._run, ignore_errors=True)

    def _java(self, *arguments: str) -> list[str]:
        options = [f"-Dlog4j2.configurationFile={self._run / 'log4j2.xml'}", "-Djava.awt.headless=true"]
        flags = [argument for argument in arguments if argument.startswith("-X")]
        rest = [argument for argument in arguments if not argument.startswith("-X")]
        return ["java", *flags, *options, "-cp", f"{self._lib}/*", *rest]
