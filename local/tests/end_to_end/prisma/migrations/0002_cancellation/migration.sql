-- AlterEnum
ALTER TYPE "Status" ADD VALUE 'CANCELED';

-- AlterTable
ALTER TABLE "Customer" ALTER COLUMN "email" SET DATA TYPE VARCHAR(320);

-- AlterTable
ALTER TABLE "Order" ADD COLUMN     "note" TEXT;
